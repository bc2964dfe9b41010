// Starts the stand-in for the provider in a child process, and says where it is.
import { fork } from 'node:child_process'

export async function startProvider() {
  const child = fork(new URL('./quickstart/provider.mjs', import.meta.url))
  let lastKey = ''
  const port = await new Promise((resolve) => {
    child.on('message', (message) => {
      if (message.sawKey) lastKey = message.sawKey
      if (message.port) resolve(message.port)
    })
  })
  return {
    baseUrl: `http://127.0.0.1:${port}/v1`,
    lastKey: () => lastKey,
    stop: () => child.kill(),
  }
}
