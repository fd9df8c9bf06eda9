// A module on its way to the coordinator, with how far it got. XMLHttpRequest, because fetch does
// not tell the progress of what it sends.

import type { Client } from "./client";
import { asApiError, errorOf, unreachable } from "./errors";
import type { KeptModule } from "./types";

export const moduleBytesMax = 50_000_000;

/** Says why a file is no module before anything is sent; empty when it may be one. */
export function moduleProblem(size: number, head: Uint8Array): string {
  if (size === 0) return "This file is empty.";
  if (size > moduleBytesMax) return "This file is larger than 50 MB, the most that is taken.";
  const magic = [0x00, 0x61, 0x73, 0x6d];
  if (!magic.every((byte, at) => head[at] === byte)) {
    return "This file does not begin like a WebAssembly module (\\0asm). Compile it to .wasm first.";
  }
  return "";
}

function once(client: Client, file: Blob, onProgress: (part: number) => void): Promise<KeptModule> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${client.base}/modules`);
    const { headers } = client.credentials(true);
    Object.entries(headers).forEach(([name, value]) => request.setRequestHeader(name, value));
    request.setRequestHeader("Content-Type", "application/wasm");
    request.upload.onprogress = (event) => onProgress(event.loaded / Math.max(event.total, 1));
    request.onerror = () => reject(unreachable(null));
    request.onload = () => {
      if (request.status === 201 || request.status === 200) {
        resolve(JSON.parse(request.responseText) as KeptModule);
      } else {
        reject(
          errorOf(request.status, request.responseText, request.getResponseHeader("Retry-After")),
        );
      }
    };
    request.send(file);
  });
}

export async function uploadModule(
  client: Client,
  file: Blob,
  onProgress: (part: number) => void,
): Promise<KeptModule> {
  try {
    return await once(client, file, onProgress);
  } catch (error) {
    if (asApiError(error).status !== 401 || !(await client.renew())) throw error;
    return once(client, file, onProgress);
  }
}
