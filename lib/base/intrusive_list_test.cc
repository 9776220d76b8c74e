#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <type_traits>
#include <vector>

#include "base/prng.h"

namespace tern {
namespace {

struct Node {
  ListLinks by_age;
  ListLinks by_name;
};
using Pool = SlotPool<Node>;
using AgeList = IntrusiveList<Node, &Node::by_age>;
using NameList = IntrusiveList<Node, &Node::by_name>;
static_assert(std::is_trivially_copyable_v<AgeList>, "state that holds a list can move as bytes");

template <typename List>
std::vector<uint32_t> Forward(Pool& pool, const List& list) {
  std::vector<uint32_t> all;
  for (uint32_t i = list.front(); i != kNoSlot; i = List::Next(pool, i)) all.push_back(i);
  return all;
}
template <typename List>
std::vector<uint32_t> Backward(Pool& pool, const List& list) {
  std::vector<uint32_t> all;
  for (uint32_t i = list.back(); i != kNoSlot; i = List::Prev(pool, i)) all.push_back(i);
  return all;
}

TEST(IntrusiveList, EmptyAndSingle) {
  Pool pool(HeapMemory(), 4);
  AgeList list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.PopFront(pool), kNoSlot);
  const uint32_t only = pool.Allocate();
  EXPECT_FALSE(pool[only].by_age.linked());
  list.PushBack(pool, only);
  EXPECT_TRUE(pool[only].by_age.linked());
  EXPECT_EQ(list.front(), only);
  EXPECT_EQ(list.back(), only);
  EXPECT_EQ(list.PopFront(pool), only);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.back(), kNoSlot);
  EXPECT_FALSE(pool[only].by_age.linked());
}

TEST(IntrusiveList, ASlotCanBeOnTwoListsAtOnce) {
  Pool pool(HeapMemory(), 4);
  AgeList ages;
  NameList names;
  const uint32_t a = pool.Allocate();
  const uint32_t b = pool.Allocate();
  ages.PushBack(pool, a);
  ages.PushBack(pool, b);
  names.PushBack(pool, b);
  names.PushBack(pool, a);
  ages.Remove(pool, a);
  EXPECT_EQ(Forward(pool, ages), (std::vector<uint32_t>{b}));
  EXPECT_EQ(Forward(pool, names), (std::vector<uint32_t>{b, a}));
}

TEST(IntrusiveList, AgreesWithStdListAndSurvivesRelocation) {
  constexpr uint32_t kSlots = 40;
  Pool pool(HeapMemory(), kSlots);
  for (uint32_t i = 0; i < kSlots; ++i) ASSERT_EQ(pool.Allocate(), i);
  AgeList lists[2];
  std::list<uint32_t> models[2];
  Prng prng(1);
  for (int step = 0; step < 20'000; ++step) {
    const uint64_t which = prng.Below(2);
    AgeList moved;  // the list lives elsewhere from now on
    std::memcpy(static_cast<void*>(&moved), &lists[which], sizeof(moved));
    std::list<uint32_t>& model = models[which];
    const auto slot = static_cast<uint32_t>(prng.Below(kSlots));
    const auto here = std::find(model.begin(), model.end(), slot);
    if (here != model.end()) {
      moved.Remove(pool, slot);
      model.erase(here);
    } else if (!pool[slot].by_age.linked()) {
      const uint64_t place = prng.Below(3);
      if (place == 0) {
        moved.PushFront(pool, slot);
        model.push_front(slot);
      } else if (place == 1 || model.empty()) {
        moved.PushBack(pool, slot);
        model.push_back(slot);
      } else {
        const auto before = std::next(model.begin(), static_cast<ptrdiff_t>(prng.Below(model.size())));
        moved.InsertBefore(pool, *before, slot);
        model.insert(before, slot);
      }
    } else if (prng.Below(4) == 0 && !model.empty()) {
      ASSERT_EQ(moved.PopFront(pool), model.front());
      model.pop_front();
    }
    lists[which] = moved;
    ASSERT_EQ(moved.size(), model.size());
    ASSERT_EQ(Forward(pool, moved), std::vector<uint32_t>(model.begin(), model.end()));
    ASSERT_EQ(Backward(pool, moved), std::vector<uint32_t>(model.rbegin(), model.rend()));
  }
}

}  // namespace
}  // namespace tern
