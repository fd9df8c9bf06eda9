// The official Ollama client for JavaScript, unchanged, against a running server.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Ollama } from 'ollama';

import { all, baseUrl, chatModel, dot, embedModel, expected, greedy, user } from './settings.mjs';

const client = new Ollama({ host: baseUrl });
const ask = (content, more = {}) =>
  client.chat({ model: chatModel, messages: user(content), options: greedy, ...more });

test('list, show and ps', async () => {
  const names = (await client.list()).models.map((model) => model.name.split(':')[0]);
  assert.ok(names.includes(chatModel.split(':')[0]) && names.includes(embedModel.split(':')[0]));
  const shown = await client.show({ model: chatModel });
  assert.ok(shown.capabilities.includes('tools') && shown.details.format === 'gguf');
  assert.match(shown.template, /<tool_call>/);
  await ask('Hello');
  const loaded = (await client.ps()).models;
  assert.ok(loaded.some((model) => model.model.startsWith(chatModel)));
});

test('chat', async () => {
  const answer = await ask('What is the capital of France?');
  assert.equal(answer.message.content, expected.PARIS);
  assert.ok(answer.done && answer.done_reason === 'stop' && answer.eval_count > 5);
});

test('chat streamed', async () => {
  const parts = await all(await ask('Why is the sky blue?', { stream: true }));
  assert.equal(parts.map((part) => part.message.content).join(''), expected.SKY);
  assert.ok(parts.length > 10 && parts.at(-1).done);
});

test('generate, streamed and with a stop string', async () => {
  const request = { model: chatModel, prompt: 'Count from 1 to 10.', options: greedy };
  assert.equal((await client.generate(request)).response, expected.COUNT);
  const parts = await all(await client.generate({ ...request, stream: true }));
  assert.equal(parts.map((part) => part.response).join(''), expected.COUNT);
  const stopped = await client.generate({ ...request, options: { ...greedy, stop: ['5'] } });
  assert.equal(stopped.response, '1, 2, 3, 4, ');
});

test('a tool is called and its result told', async () => {
  const messages = user('What is the weather in Paris?');
  const tools = [expected.WEATHER_TOOL];
  const asked = await client.chat({ model: chatModel, messages, tools, options: greedy });
  assert.deepEqual(asked.message.tool_calls.map((call) => call.function.name), ['get_weather']);
  assert.deepEqual(asked.message.tool_calls[0].function.arguments, { city: 'Paris' });
  messages.push(asked.message,
    { role: 'tool', tool_name: 'get_weather', content: expected.RESULT });
  const told = await client.chat({ model: chatModel, messages, tools, options: greedy });
  assert.equal(told.message.content, expected.WEATHER_ANSWER);
});

test('an answer of a schema', async () => {
  const answer = await ask('Tell me about Canada.', { format: expected.SCHEMA });
  assert.deepEqual(JSON.parse(answer.message.content), expected.CANADA);
});

test('seeds', async () => {
  const digits = async (seed) =>
    (await ask(expected.DIGITS, { options: { temperature: 1, seed } })).message.content;
  assert.equal(await digits(3), await digits(3));
  const drawn = new Set(await Promise.all([0, 1, 2, 3, 4, 5].map(digits)));
  assert.ok(drawn.size >= 3);
});

test('embed and the older embeddings call', async () => {
  const input = ['cat', 'kitten', 'finance'];
  const { embeddings } = await client.embed({ model: embedModel, input });
  assert.ok(Math.abs(dot(embeddings[0], embeddings[1]) - 0.788) < 0.002);
  assert.ok(Math.abs(dot(embeddings[0], embeddings[2]) - 0.293) < 0.002);
  const { embedding } = await client.embeddings({ model: embedModel, prompt: 'cat' });
  assert.equal(embedding.length, 384);
});

test('an unknown model', async () => {
  const wanted = { message: `model '${expected.UNKNOWN_MODEL}' not found`, status_code: 404 };
  const request = { model: expected.UNKNOWN_MODEL, messages: user('Hello') };
  await assert.rejects(client.chat(request), wanted);
  await assert.rejects(client.chat({ ...request, stream: true }), wanted);
});

test('pull of what nobody serves says so', async () => {
  await assert.rejects(async () => all(await client.pull({ model: expected.UNKNOWN_MODEL, stream: true })),
    new RegExp(expected.UNKNOWN_MODEL));
});

test('abort in a stream', async () => {
  for (let round = 0; round < 6; round += 1) {
    const own = new Ollama({ host: baseUrl });
    const stream = await own.chat(
      { model: chatModel, messages: user('Tell me a long story.'), stream: true });
    await assert.rejects(async () => {
      for await (const part of stream) {
        assert.ok(part.message);
        own.abort();
      }
    }, { name: 'AbortError' });
  }
  assert.equal((await ask('What is the capital of France?')).message.content, expected.PARIS);
});
