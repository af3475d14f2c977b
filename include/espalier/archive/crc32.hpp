// SPDX-License-Identifier: BSL-1.0
// The checksum of zip records. Boost.CRC takes a byte a step, and its header is large; weights are gigabytes,
// and this takes sixteen bytes a step.
#pragma once

#include <espalier/support/span.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace espalier::detail {

struct crc_tables {
  // t[k][b]: what byte b adds to the checksum when k more bytes follow it
  std::array<std::array<std::uint32_t, 256>, 16> t{};
  crc_tables() {
    for (std::uint32_t b = 0; b != 256; ++b) {
      std::uint32_t c = b;
      for (int bit = 0; bit != 8; ++bit)
        c = c & 1 ? 0xedb8'8320u ^ (c >> 1) : c >> 1;
      t[0][b] = c;
    }
    for (std::size_t k = 1; k != 16; ++k)
      for (std::size_t b = 0; b != 256; ++b)
        t[k][b] = t[0][t[k - 1][b] & 0xff] ^ (t[k - 1][b] >> 8);
  }
};

/// CRC-32 as zip, gzip and PNG have it. `before` is the checksum of the bytes that come before.
inline std::uint32_t crc32(span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
  static const crc_tables tables; // filled when first needed: as a constant it would cost every compilation
  auto& t = tables.t;
  std::uint32_t c = ~before;
  auto p = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t n = bytes.size();
  for (; n >= 16; n -= 16, p += 16) {
    std::uint32_t head =
        c ^ (p[0] | std::uint32_t(p[1]) << 8 | std::uint32_t(p[2]) << 16 | std::uint32_t(p[3]) << 24);
    c = t[15][head & 0xff] ^ t[14][head >> 8 & 0xff] ^ t[13][head >> 16 & 0xff] ^ t[12][head >> 24];
    for (std::size_t k = 4; k != 16; ++k)
      c ^= t[15 - k][p[k]];
  }
  for (; n != 0; --n, ++p)
    c = t[0][(c ^ *p) & 0xff] ^ (c >> 8);
  return ~c;
}

} // namespace espalier::detail
