// The official OpenAI client for JavaScript, unchanged, against a running server.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { all, baseUrl, chatModel, dot, embedModel, expected, user } from './settings.mjs';

const client = new OpenAI({ baseURL: `${baseUrl}/v1`, apiKey: 'none', maxRetries: 0 });
const ask = (content, more = {}) => client.chat.completions.create(
  { model: chatModel, messages: user(content), temperature: 0, ...more });

test('models', async () => {
  const names = (await all(await client.models.list())).map((model) => model.id.split(':')[0]);
  assert.ok(names.includes(chatModel.split(':')[0]) && names.includes(embedModel.split(':')[0]));
  assert.equal((await client.models.retrieve(chatModel)).object, 'model');
});

test('chat', async () => {
  const answer = await ask('What is the capital of France?');
  assert.equal(answer.choices[0].message.content, expected.PARIS);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.ok(answer.usage.total_tokens > 10);
});

test('chat streamed', async () => {
  const chunks = await all(await ask('Why is the sky blue?',
    { stream: true, stream_options: { include_usage: true } }));
  const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
  assert.equal(text, expected.SKY);
  assert.ok(chunks.length > 10 && chunks.at(-1).usage.completion_tokens > 10);
});

test('a tool is called with arguments as a string', async () => {
  const tools = [expected.WEATHER_TOOL];
  const messages = user('What is the weather in Paris?');
  const asked = (await ask('What is the weather in Paris?', { tools })).choices[0];
  const [call] = asked.message.tool_calls;
  assert.equal(asked.finish_reason, 'tool_calls');
  assert.equal(typeof call.function.arguments, 'string');
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
  messages.push(asked.message,
    { role: 'tool', tool_call_id: call.id, content: expected.RESULT });
  const told = await client.chat.completions.create(
    { model: chatModel, messages, tools, temperature: 0 });
  assert.equal(told.choices[0].message.content, expected.WEATHER_ANSWER);
});

test('the stream helper joins a tool call', async () => {
  const stream = client.chat.completions.stream({ model: chatModel, temperature: 0,
    messages: user('What is the weather in Paris?'), tools: [expected.WEATHER_TOOL] });
  const answer = await stream.finalChatCompletion();
  const [call] = answer.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Paris' });
});

test('an answer of a schema', async () => {
  const format = { type: 'json_schema', json_schema: { name: 'country', schema: expected.SCHEMA } };
  const answer = await ask('Tell me about Canada.', { response_format: format });
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), expected.CANADA);
});

test('embeddings, float and base64', async () => {
  const input = ['cat', 'kitten', 'finance'];
  for (const form of [undefined, 'float']) {
    const more = form ? { encoding_format: form } : {};
    const { data } = await client.embeddings.create({ model: embedModel, input, ...more });
    assert.ok(Math.abs(dot(data[0].embedding, data[1].embedding) - 0.788) < 0.002);
    assert.ok(Math.abs(dot(data[0].embedding, data[2].embedding) - 0.293) < 0.002);
  }
});

test('seeds, stop, limit and log probabilities', async () => {
  const digits = async (seed) => (await ask(expected.DIGITS, { temperature: 1, seed }))
    .choices[0].message.content;
  assert.equal(await digits(5), await digits(5));
  const stopped = await ask('Count from 1 to 10.', { stop: ['5'] });
  assert.equal(stopped.choices[0].message.content, '1, 2, 3, 4, ');
  const limited = await ask('Tell me a long story.', { max_tokens: 7 });
  assert.equal(limited.choices[0].finish_reason, 'length');
  const likely = await ask('What is the capital of France?', { logprobs: true, top_logprobs: 2 });
  const tokens = likely.choices[0].logprobs.content;
  assert.equal(tokens.map((entry) => entry.token).join(''), expected.PARIS);
  assert.ok(tokens.every((entry) => entry.top_logprobs.length === 2));
});

test('responses, streamed', async () => {
  const request = { model: chatModel, input: 'Why is the sky blue?', temperature: 0 };
  assert.equal((await client.responses.create(request)).output_text, expected.SKY);
  const events = await all(await client.responses.create({ ...request, stream: true }));
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  assert.equal(deltas.map((event) => event.delta).join(''), expected.SKY);
  assert.equal(events[0].type, 'response.created');
  assert.equal(events.at(-1).type, 'response.completed');
});

test('an unknown model', async () => {
  await assert.rejects(client.chat.completions.create(
    { model: expected.UNKNOWN_MODEL, messages: user('Hello') }), (problem) => {
    assert.ok(problem instanceof OpenAI.NotFoundError);
    assert.match(problem.error.message, new RegExp(expected.UNKNOWN_MODEL));
    return true;
  });
});

test('abort in a stream', async () => {
  for (let round = 0; round < 6; round += 1) {
    const stream = await ask('Tell me a long story.', { stream: true });
    for await (const chunk of stream) {
      assert.ok(chunk.choices);
      stream.controller.abort();
      break;
    }
  }
  const answer = await ask('What is the capital of France?');
  assert.equal(answer.choices[0].message.content, expected.PARIS);
});
