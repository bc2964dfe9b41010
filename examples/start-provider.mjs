// Starts the stand-in for the providers in a process of its own, and says where it is.
import { fork } from 'node:child_process'

export async function startProvider() {
  const child = fork(new URL('./quickstart/provider.mjs', import.meta.url))
  const next = () => new Promise((resolve) => child.once('message', resolve))
  const { openai, anthropic, vllm } = await next()
  return {
    /** Base URL of the one that speaks as OpenAI does. */
    baseUrl: openai,
    anthropic,
    /** On a port of its own, as a server that a tenant runs is. */
    vllm,
    /** What it was asked, in order: whose credential came, and what it counted itself. */
    async seen() {
      const seen = next()
      child.send('seen')
      return await seen
    },
    stop: () => child.kill(),
  }
}
