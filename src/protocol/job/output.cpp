#include "protocol/job/output.h"

#include <algorithm>

namespace phase::job {
namespace {

Sha256 next_link(const Sha256& chain, OutputStream stream, ByteView segment) {
  return Sha256Stream()
      .update(chain.bytes())
      .update_u8(static_cast<std::uint8_t>(stream))
      .update_u32(static_cast<std::uint32_t>(segment.size()))
      .update(segment)
      .finish();
}

}  // namespace

OutputChain::OutputChain() : chain_(sha256(as_bytes("phase/output/2"))) {}

void OutputChain::close_segment() {
  if (segment_.empty()) return;
  chain_ = next_link(chain_, stream_, segment_);
  segment_.clear();
  ++segments_;
}

void OutputChain::append(OutputStream stream, ByteView bytes) {
  if (bytes.empty()) return;
  if (stream != stream_) close_segment();
  stream_ = stream;
  length_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t room = kSegmentBytesMax - segment_.size();
    const ByteView piece = bytes.first(std::min(room, bytes.size()));
    segment_.insert(segment_.end(), piece.begin(), piece.end());
    bytes = bytes.subspan(piece.size());
    if (segment_.size() == kSegmentBytesMax) close_segment();
  }
}

OutputSummary OutputChain::summary() const {
  const bool open = !segment_.empty();
  const Sha256 end = open ? next_link(chain_, stream_, segment_) : chain_;
  return {OutputCommitment{end.value}, length_, segments_ + (open ? 1 : 0)};
}

}  // namespace phase::job
