/**
 * An esbuild plugin for CommonJS packages that are bundled into an ES module (commander): what they
 * `require` of Node is taken from `process.getBuiltinModule`, since an ES module has no `require`.
 *
 * @module
 */
import type { Options } from 'tsup'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

export const commonJsBuiltins: Plugin = {
  name: 'common-js-builtins',
  setup(build) {
    build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'require-call' ? { path, namespace: 'node-builtin' } : undefined,
    )
    build.onLoad({ filter: /.*/, namespace: 'node-builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}
