/**
 * The version of this package, as `--version` and `doctor` say it. A test compares it with
 * package.json.
 *
 * @module
 */
export const VERSION = '0.1.0'
