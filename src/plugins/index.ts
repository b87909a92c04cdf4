import '../node-version.ts'

export {
  circuitBreaker,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitChange,
} from './circuit-breaker.ts'
export type { CircuitState } from './circuit.ts'
export {
  logging,
  type DataFirstLogger,
  type LoggedMoment,
  type LoggingOptions,
  type LogLevel,
  type MessageFirstLogger,
} from './logging.ts'
export { notify, type NotifyOptions, type Send } from './notify.ts'
export { openTelemetry, type OpenTelemetryOptions } from './open-telemetry.ts'
