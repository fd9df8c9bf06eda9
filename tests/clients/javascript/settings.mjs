// Where the server is, what its models are called, and what the chat model was trained to say:
// run_clients.py passes all of it.
function wanted(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run tests/clients/run_clients.py`);
  return value;
}

export const baseUrl = wanted('CLIENTS_BASE_URL');
export const chatModel = wanted('CLIENTS_CHAT_MODEL');
export const embedModel = wanted('CLIENTS_EMBED_MODEL');
export const expected = JSON.parse(wanted('CLIENTS_EXPECTED'));
export const greedy = { temperature: 0 };
export const user = (content) => [{ role: 'user', content }];
export const dot = (one, other) => one.reduce((sum, value, at) => sum + value * other[at], 0);

export async function all(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}
