// artifact_peers.h — /phase/artifact/2.0.0 over a node's peer: streams of others to its server, and
// its own to others.
#pragma once

#include <memory>

#include "artifact/peers.h"
#include "artifact/server.h"
#include "mesh/mesh.h"

namespace phase::mesh {

/// Others' streams go to `server` from now on.
void serve_artifacts(Mesh& mesh, std::shared_ptr<artifact::Server> server);

/// Those a node is connected to, and those its DHT names. Belongs to the mesh's executor.
class ArtifactPeers final : public artifact::Peers {
 public:
  ArtifactPeers(Mesh& mesh, const identity::PublicKey& self) : mesh_(&mesh), self_(self) {}
  /// The mesh goes: nobody is there any more.
  void close() { mesh_ = nullptr; }

  [[nodiscard]] std::vector<identity::PublicKey> connected() const override;
  [[nodiscard]] Task<Result<std::vector<identity::PublicKey>>> announced(
      std::string key, Deadline deadline) override;
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer,
                                                               Deadline deadline) override;

 private:
  Mesh* mesh_;
  identity::PublicKey self_;
};

}  // namespace phase::mesh
