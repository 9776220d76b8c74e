#include "stack/flow_table.h"

#include <bit>

namespace tern::stack {

FlowTable::FlowTable(MemorySource& memory, uint32_t flows, const HashKey& secret)
    : secret_(secret), memory_(memory) {
  // Half full at most: with two choices among buckets of eight, overflow then needs more bad luck than there
  // is.
  const size_t buckets = std::bit_ceil((size_t{flows} * 2 + kWays - 1) / kWays);
  void* block = memory_.Allocate(buckets * sizeof(Bucket));
  if (block == nullptr) return;
  buckets_ = static_cast<Bucket*>(block);
  mask_ = buckets - 1;
}

FlowTable::~FlowTable() {
  if (buckets_ != &none_) memory_.Free(buckets_, (mask_ + 1) * sizeof(Bucket));
}

size_t FlowTable::Load(const Bucket& bucket) {
  size_t load = 0;
  for (const FlowId id : bucket.ids) load += id ? 1 : 0;
  return load;
}

bool FlowTable::Insert(uint64_t hash, FlowId id) {
  if (buckets_ == &none_) return false;
  Bucket* bucket = &buckets_[First(hash)];
  if (const size_t load = Load(*bucket); load >= kCrowded) {
    Bucket* second = &buckets_[Second(hash)];
    if (Load(*second) < load) bucket = second;
  }
  for (size_t i = 0; i < kWays; ++i) {
    if (bucket->ids[i]) continue;
    bucket->tags[i] = Tag(hash);
    bucket->ids[i] = id;
    ++size_;
    return true;
  }
  return false;
}

FlowId* FlowTable::Locate(uint64_t hash, FlowId id) {
  for (Bucket* bucket : {&buckets_[First(hash)], &buckets_[Second(hash)]}) {
    for (FlowId& held : bucket->ids) {
      if (held == id) return &held;
    }
  }
  return nullptr;
}

bool FlowTable::Remove(uint64_t hash, FlowId id) {
  FlowId* held = Locate(hash, id);
  if (held == nullptr) return false;
  *held = FlowId();
  --size_;
  return true;
}

bool FlowTable::Replace(uint64_t hash, FlowId from, FlowId to) {
  FlowId* held = Locate(hash, from);
  if (held == nullptr) return false;
  *held = to;
  return true;
}

}  // namespace tern::stack
