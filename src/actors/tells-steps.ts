/** Set on a system of XState whose steps somebody wants to hear of, so that compiled charts tell theirs. */
export const tellsSteps: unique symbol = Symbol('tellsSteps')
