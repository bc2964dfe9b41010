/**
 * `tenantkeys/testing`: what adapter authors and hosts test with. The conformance suites of the
 * Storage and UsageSink ports (runner passed in), a clock that moves when told, and a fault injector.
 *
 * @module
 */
export { type FakeClock, fakeClock } from './fake-clock.ts'
export { type Fault, type FaultPlan, type FaultyCall, withFaults } from './faults.ts'
export {
  type SinkConformanceOptions,
  type SinkUnderTest,
  sinkConformance,
} from './sink-conformance.ts'
export {
  type ConformanceOptions,
  type ConformanceRunner,
  type StoreUnderTest,
  storageConformance,
} from './storage-conformance/index.ts'
