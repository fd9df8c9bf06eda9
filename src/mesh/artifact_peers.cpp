#include "mesh/artifact_peers.h"

namespace phase::mesh {

void serve_artifacts(Mesh& mesh, std::shared_ptr<artifact::Server> server) {
  mesh.peer().handle(
      std::string(artifact::kArtifactProtocol),
      [server = std::move(server)](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
        server->serve(std::move(stream), from);
      });
}

std::vector<identity::PublicKey> ArtifactPeers::connected() const {
  std::vector<identity::PublicKey> out;
  if (mesh_ == nullptr) return out;
  for (const peer::PeerInfo& known : mesh_->peer().peers()) {
    if (known.connected && known.id.key() != self_) out.push_back(known.id.key());
  }
  return out;
}

Task<Result<std::vector<identity::PublicKey>>> ArtifactPeers::announced(std::string key,
                                                                        Deadline deadline) {
  if (mesh_ == nullptr) co_return fail(Code::cancelled, "the node stops");
  auto found = co_await mesh_->peer().find_providers(std::move(key), deadline);
  if (found) std::erase(*found, self_);
  co_return found;
}

Task<Result<std::unique_ptr<ByteStream>>> ArtifactPeers::open(identity::PublicKey peer,
                                                              Deadline deadline) {
  if (mesh_ == nullptr) co_return fail(Code::cancelled, "the node stops");
  co_return co_await mesh_->peer().open(peer, std::string(artifact::kArtifactProtocol), deadline);
}

}  // namespace phase::mesh
