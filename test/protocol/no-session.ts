/** The fields of a fetch that belongs to no session. */
export const NO_SESSION = { session: null, forgotten: [] } as const

/** The same in its answer. */
export const NO_SESSION_ANSWER = { sessionId: null, about: [] } as const
