/**
 * Where a hold may grow with its stream: only where the stream shows all that will be charged.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { firstOutput } from '../../src/request/hold-amounts.ts'
import { KNOWN, operationOf } from '../support/operations.ts'

const hello = [{ role: 'user', content: 'Hello' }]
const chat = { model: 'gpt-4o', messages: hello, stream: true }
const responses = { model: 'gpt-5.1', input: 'Hello', stream: true }
const claude = { model: 'claude-x', max_tokens: 4096, messages: hello, stream: true }
const contents = [{ parts: [{ text: 'Hello' }] }]
const converse = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] }
const off = { type: 'disabled' }

const OPENAI = ['openai', '/chat/completions']
const RESPONSES = ['openai', '/responses']
const CLAUDE = ['anthropic', '/v1/messages']
const GEMINI = ['google', '/v1beta/models/{model}:streamGenerateContent']
const CONVERSE = ['bedrock', '/model/{model}/converse-stream']

function grows(
  [provider = '', path = '']: readonly string[],
  model: string,
  body: object,
): boolean {
  const operation = operationOf(provider, path)
  const reading = operation.read(JSON.stringify(body), { model }).bound(KNOWN)
  try {
    return firstOutput('grow', operation, reading) === 256
  } catch (error) {
    expect(error).toMatchObject({ code: 'TK_BUDGET_UNBOUNDED', details: { model } })
    return false
  }
}

const thinking = (thinkingConfig: object) => ({ contents, generationConfig: { thinkingConfig } })
const own = (fields: object) => ({ ...converse, additionalModelRequestFields: fields })
const answer = (modality: string) => ({
  contents,
  generationConfig: { responseModalities: ['TEXT', modality] },
})

describe('a hold grows', () => {
  test.each<[string, string[], string, object]>([
    ['text of a model that never thinks', OPENAI, 'gpt-4o', chat],
    ...['gpt-5.1', 'gpt-5.2-2025-12-11', 'gpt-5.4-mini', 'ft:gpt-5.1:acme'].map(
      (model): [string, string[], string, object] => [
        `${model} told not to reason`,
        OPENAI,
        model,
        { ...chat, model, reasoning_effort: 'none' },
      ],
    ),
    [
      'the same by Responses',
      RESPONSES,
      'gpt-5.1',
      { ...responses, reasoning: { effort: 'none' } },
    ],
    ['Claude with thinking off', CLAUDE, 'claude-x', { ...claude, thinking: off }],
    [
      'Gemini 2.5 Flash with no budget to think',
      GEMINI,
      'gemini-2.5-flash',
      thinking({ thinkingBudget: 0 }),
    ],
    [
      'a dated one',
      GEMINI,
      'gemini-2.5-flash-lite-preview-09-2025',
      thinking({ thinkingBudget: 0, includeThoughts: false }),
    ],
    ['Gemini 2.0', GEMINI, 'gemini-2.0-flash', { contents }],
    ['Nova of the first generation', CONVERSE, 'us.amazon.nova-lite-v1:0', converse],
    ['Llama', CONVERSE, 'meta.llama4-scout-17b-instruct-v1:0', converse],
    [
      'Claude on Bedrock with thinking off',
      CONVERSE,
      'eu.anthropic.claude-x',
      own({ thinking: off }),
    ],
  ])('for %s', (_, operation, model, body) => {
    expect(grows(operation, model, body)).toBe(true)
  })
})

describe('a hold does not grow', () => {
  test.each<[string, string[], string, object]>([
    ['audio', OPENAI, 'gpt-4o', { ...chat, modalities: ['text', 'audio'], audio: { voice: 'a' } }],
    ['a model that thinks', OPENAI, 'o3', { ...chat, model: 'o3' }],
    ['gpt-5.1, whose default may change', OPENAI, 'gpt-5.1', { ...chat, model: 'gpt-5.1' }],
    ...['gpt-5', 'gpt-5-mini', 'o3', 'gpt-5.1-codex', 'gpt-5.2-pro', 'gpt-5.1-chat-latest'].map(
      (model): [string, string[], string, object] => [
        `${model}, for which OpenAI knows no such word`,
        OPENAI,
        model,
        { ...chat, model, reasoning_effort: 'none' },
      ],
    ),
    [
      'gpt-5.1 that reasons a little',
      OPENAI,
      'gpt-5.1',
      { ...chat, model: 'gpt-5.1', reasoning_effort: 'low' },
    ],
    [
      'Responses that say more of reasoning',
      RESPONSES,
      'gpt-5.1',
      { ...responses, reasoning: { effort: 'none', mode: 'pro' } },
    ],
    ['Claude, which may think unasked', CLAUDE, 'claude-x', claude],
    [
      'Claude that thinks as it likes',
      CLAUDE,
      'claude-x',
      { ...claude, thinking: { type: 'adaptive' } },
    ],
    [
      'Claude that thinks between tools',
      CLAUDE,
      'claude-x',
      { ...claude, thinking: { type: 'between_tools' } },
    ],
    ['Gemini 2.5 with a budget', GEMINI, 'gemini-2.5-flash', thinking({ thinkingBudget: 1 })],
    ['Gemini 2.5 that says nothing', GEMINI, 'gemini-2.5-flash', { contents }],
    [
      'two budgets',
      GEMINI,
      'gemini-2.5-flash',
      thinking({ thinkingBudget: 0, thinking_budget: 9 }),
    ],
    [
      'Gemini 2.5 Pro, which cannot stop',
      GEMINI,
      'gemini-2.5-pro',
      thinking({ thinkingBudget: 0 }),
    ],
    [
      'Gemini 3, which has levels',
      GEMINI,
      'gemini-3-flash-preview',
      thinking({ thinkingBudget: 0 }),
    ],
    ['a model of images', GEMINI, 'gemini-2.5-flash-image', thinking({ thinkingBudget: 0 })],
    ['images', GEMINI, 'gemini-2.0-flash', answer('IMAGE')],
    ['speech', GEMINI, 'gemini-2.0-flash', answer('AUDIO')],
    ['Nova of the second generation', CONVERSE, 'amazon.nova-2-lite-v1:0', converse],
    ['Claude on Bedrock', CONVERSE, 'anthropic.claude-x', converse],
    [
      'Claude on Bedrock, told twice',
      CONVERSE,
      'anthropic.claude-x',
      own({ thinking: off, reasoning_config: { type: 'enabled' } }),
    ],
    [
      'others on Bedrock, whatever they are told',
      CONVERSE,
      'deepseek.r1-v1:0',
      own({ thinking: off }),
    ],
  ])('for %s', (_, operation, model, body) => {
    expect(grows(operation, model, body)).toBe(false)
  })
})
