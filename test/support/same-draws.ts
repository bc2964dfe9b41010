/**
 * Imported for what it does: properties draw the same values in every run, so that no luck decides a
 * test. The full run (`npm run test:force`) draws anew, and more; what it finds is told with its seed.
 *
 * @module
 */
import fc from 'fast-check'

if (process.env.TENANTKEYS_FORCE !== '1') {
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20_261_130 })
}
