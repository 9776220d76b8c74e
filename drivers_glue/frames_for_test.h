// Frames with recognisable bytes, for tests of devices.
#ifndef TERN_DRIVERS_GLUE_FRAMES_FOR_TEST_H_
#define TERN_DRIVERS_GLUE_FRAMES_FOR_TEST_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/packet.h"
#include "runtime/device.h"

namespace tern {

inline constexpr size_t kTestHeader = 18;  // Ethernet and a number

inline uint8_t TestByte(uint32_t number, size_t position) {
  return static_cast<uint8_t>(number * 31 + position * 7 + position / 251);
}

// A frame whose payload of `length` bytes lies in buffers of `pool`, cut into `pieces`. The caller owns
// `owners`.
inline TxFrame MakeTestFrame(BufferPool& pool, uint32_t number, uint32_t length, size_t pieces,
                             std::vector<Buffer*>& owners) {
  TxFrame frame;
  frame.header_length = kTestHeader;
  frame.header.fill(0);
  frame.header[12] = 0x88;  // an EtherType for experiments
  frame.header[13] = 0xB5;
  std::memcpy(frame.header.data() + 14, &number, sizeof(number));
  uint32_t done = 0;
  for (size_t i = 0; i < pieces; ++i) {
    const uint32_t part = i + 1 == pieces ? length - done : length / static_cast<uint32_t>(pieces);
    Buffer* buffer = nullptr;
    if (!pool.Allocate(std::span(&buffer, 1))) break;
    for (uint32_t k = 0; k < part; ++k) buffer->data[k] = TestByte(number, done + k);
    buffer->length = part;
    buffer->tailroom -= part;
    owners.push_back(buffer);
    frame.slices[frame.slice_count++] = {buffer->data, part, buffer};
    done += part;
  }
  return frame;
}

inline std::vector<uint8_t> BytesOf(const Buffer* chain) {
  std::vector<uint8_t> bytes;
  for (; chain != nullptr; chain = chain->next)
    bytes.insert(bytes.end(), chain->data, chain->data + chain->length);
  return bytes;
}

inline uint32_t NumberOf(const std::vector<uint8_t>& bytes) {
  uint32_t number = 0;
  if (bytes.size() >= kTestHeader) std::memcpy(&number, bytes.data() + 14, sizeof(number));
  return number;
}

// Whether the payload is what MakeTestFrame wrote, `length` bytes of it.
inline bool PayloadIsIntact(const std::vector<uint8_t>& bytes, uint32_t length) {
  if (bytes.size() != kTestHeader + length) return false;
  for (uint32_t i = 0; i < length; ++i) {
    if (bytes[kTestHeader + i] != TestByte(NumberOf(bytes), i)) return false;
  }
  return true;
}

inline void ReleaseAll(BufferPool& pool, std::vector<Buffer*>& owners) {
  for (Buffer* buffer : owners) {
    buffer->next = nullptr;
    pool.Release(buffer);
  }
  owners.clear();
}

// Receives what there is and gives it back; the frames' bytes in order.
inline std::vector<std::vector<uint8_t>> ReceiveAll(Device& device, uint16_t q = 0) {
  std::vector<std::vector<uint8_t>> all;
  std::array<RxFrame, 32> frames;
  for (size_t n = device.Receive(q, frames); n > 0; n = device.Receive(q, frames)) {
    for (size_t i = 0; i < n; ++i) {
      all.push_back(BytesOf(frames[i].buffer));
      device.pool(q).Release(frames[i].buffer);
    }
  }
  return all;
}

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_FRAMES_FOR_TEST_H_
