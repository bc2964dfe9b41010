/**
 * `tenantkeys/testing`: what adapter authors and hosts test with. The conformance suite of the
 * Storage port (runner passed in), a clock that moves when told, and a fault injector.
 *
 * @module
 */
export { type FakeClock, fakeClock } from './fake-clock.ts'
export { type Fault, type FaultPlan, type FaultyCall, withFaults } from './faults.ts'
export {
  type ConformanceOptions,
  type ConformanceRunner,
  type StoreUnderTest,
  storageConformance,
} from './storage-conformance/index.ts'
