import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { dump } from '../support/bad-input/dump.ts'
import { canariesIn, capture, leaks, walk } from '../support/canaries.ts'
import { failures } from '../support/leak-failures.ts'
import { foreignError } from '../support/leak-failures-calls.ts'
import { openScene, type Scene, TENANT_SECRET } from '../support/leak-scene.ts'
import { chat } from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()

test('T-L3 at least 60 failures are forced', () => {
  expect(Object.keys(failures).length).toBeGreaterThanOrEqual(60)
})

test('T-L3 the foreign error that stands for drivers and SDKs leaks by every channel there is', () => {
  const found = leaks(foreignError(TENANT_SECRET), { secret: TENANT_SECRET })
  for (const channel of ['inspect', 'console.log', 'message', 'stack', 'cause', 'string', 'walk']) {
    expect(found).toContain(`secret by ${channel}`)
  }
})

describe.each<[string, () => Storage]>([
  ['memory', memory],
  ['sqlite', () => sqlite({ file: fileOf('failures.db'), synchronous: 'NORMAL' })],
])('T-L3 over %s', (_, makeStore) => {
  let scene: Scene
  let output: { stop(): string }
  beforeAll(async () => {
    output = capture()
    scene = await openScene(makeStore())
  })
  afterAll(() => scene.close())

  test.each(Object.entries(failures))('%s tells no secret', async (_name, fail) => {
    scene.server.answer = chat
    const told = scene.told.length
    const outcome = await Promise.resolve()
      .then(() => fail(scene))
      .then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      )
    expect(outcome).toHaveProperty('error')
    expect(leaks((outcome as { error: unknown }).error, scene.canaries)).toEqual([])
    expect(leaks(scene.told.slice(told), scene.canaries)).toEqual([])
  })

  test('nothing of it was printed, told, reported or written', async () => {
    const printed = output.stop()
    expect(canariesIn(printed, scene.canaries)).toEqual([])
    expect(scene.told.length).toBeGreaterThan(10)
    expect(canariesIn(walk(scene.told), scene.canaries)).toEqual([])
    expect(canariesIn(walk(scene.receipts), scene.canaries)).toEqual([])
    expect(canariesIn(walk(await dump(scene.storage)), scene.canaries)).toEqual([])
  })

  test('T-L3 a closed installation says only that it is closed', async () => {
    await scene.tk.close()
    const { tk, key } = scene
    for (const call of [
      () => tk.keys.verify(key),
      () =>
        tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { apiKey: TENANT_SECRET } }),
      () => scene.call(),
      () => scene.client().chat.completions.create({ model: 'gpt-4o-mini', messages: [] }),
    ]) {
      const error: unknown = await call().then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).not.toBeNull()
      expect(leaks(error, scene.canaries)).toEqual([])
    }
  })
})
