// Requests that any broker passes on to the active controller.
import type { ErrorName } from '../model/error-codes.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { Api } from '../protocol/api.ts'
import { brokerTimeoutMs } from './broker-timeout.ts'
import type { ClusterCalls } from './cluster-calls.ts'

export interface ControllerRequest<Request extends { readonly timeoutMs: number }, Response> {
  readonly api: Api<Request, Response>
  readonly request: Omit<Request, 'timeoutMs'>
  readonly deadlineMs: number
}

/** One attempt after the other; a broker passes each on, and gives up earlier than this client. */
export function askController<Request extends { readonly timeoutMs: number }, Response>(
  calls: ClusterCalls,
  { api, request, deadlineMs }: ControllerRequest<Request, Response>,
): Promise<Response> {
  return calls.ask(async (connection, timeoutMs) => {
    const body = { ...request, timeoutMs: brokerTimeoutMs(timeoutMs) } as Request
    return (await connection.request(api, body, { timeoutMs })).body
  }, deadlineMs)
}

/**
 * A change of the cluster. An attempt that went unanswered may have made it, so the next one may find it made.
 * @param change `doneBefore`: what a second attempt is answered when the first one succeeded.
 * @throws VltavaError not `definite` where an attempt of this call went unanswered.
 */
export async function changeOnce<Request extends { readonly timeoutMs: number }, Response>(
  calls: ClusterCalls,
  change: ControllerRequest<Request, Response> & { readonly doneBefore: ErrorName },
): Promise<Response> {
  const { api, request, deadlineMs, doneBefore } = change
  let maybeDone = false
  try {
    return await calls.ask(async (connection, timeoutMs) => {
      const body = { ...request, timeoutMs: brokerTimeoutMs(timeoutMs) } as Request
      try {
        return (await connection.request(api, body, { timeoutMs })).body
      } catch (error) {
        if (!toVltavaError(error).definite) maybeDone = true
        throw error
      }
    }, deadlineMs)
  } catch (thrown) {
    const error = toVltavaError(thrown)
    if (!maybeDone) throw error
    const detail =
      error.code === doneBefore
        ? `${error.message} An earlier attempt of this call was not answered, so it may have been this call's doing.`
        : `${error.message} The outcome is unknown: an attempt was not answered, and may have been carried out.`
    throw new VltavaError(error.code, detail, { definite: false, retriable: error.retriable, cause: error })
  }
}
