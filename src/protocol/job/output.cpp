#include "protocol/job/output.h"

#include <algorithm>

namespace phase::job {
namespace {

constexpr std::string_view kStart = "phase/output/2";

Sha256 extend(const Sha256& chain, OutputStream stream, ByteView segment) {
  return Sha256Stream()
      .update(chain.bytes())
      .update_u8(static_cast<std::uint8_t>(stream))
      .update_u32(static_cast<std::uint32_t>(segment.size()))
      .update(segment)
      .finish();
}

}  // namespace

OutputChain::OutputChain() : chain_(sha256(as_bytes(kStart))) {}

void OutputChain::append(OutputStream stream, ByteView bytes) {
  if (bytes.empty()) return;
  if (stream != stream_) close_segment();
  stream_ = stream;
  length_ += bytes.size();
  while (!bytes.empty()) {
    if (segment_.empty() && bytes.size() >= kSegmentBytesMax) {  // whole segments without a copy
      chain_ = extend(chain_, stream_, bytes.first(kSegmentBytesMax));
      ++segments_;
      bytes = bytes.subspan(kSegmentBytesMax);
      continue;
    }
    const std::size_t room = std::min(bytes.size(), kSegmentBytesMax - segment_.size());
    segment_.insert(segment_.end(), bytes.begin(),
                    bytes.begin() + static_cast<std::ptrdiff_t>(room));
    bytes = bytes.subspan(room);
    if (segment_.size() == kSegmentBytesMax) close_segment();
  }
}

OutputSummary OutputChain::summary() const {
  const bool open = !segment_.empty();
  const Sha256 end = open ? extend(chain_, stream_, segment_) : chain_;
  return {OutputCommitment{end.value}, length_, segments_ + (open ? 1 : 0)};
}

void OutputChain::close_segment() {
  if (segment_.empty()) return;
  chain_ = extend(chain_, stream_, segment_);
  segment_.clear();
  ++segments_;
}

}  // namespace phase::job
