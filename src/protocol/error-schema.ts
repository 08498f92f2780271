import { ERRORS, type ErrorName, errorNameOf } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import { type Infer, integer, nullable, struct, text } from '../schema/schema.ts'

/** The error of one partition or topic inside a response that carries several. */
export const errorSchema = struct({
  code: integer(-1, 1_000_000),
  detail: text(4_096),
})

export type WireError = Infer<typeof errorSchema>

export const errorOrNoneSchema = nullable(errorSchema)

export function wireErrorOf(error: VltavaError): WireError {
  return { code: ERRORS[error.code].code, detail: error.message.slice(0, 4_096) }
}

export function wireError(code: ErrorName, detail?: string): WireError {
  return { code: ERRORS[code].code, detail: (detail ?? ERRORS[code].message).slice(0, 4_096) }
}

/** The error in the answer for one of several, where there is one. */
export function wireErrorOrNone(
  error: { readonly code: ErrorName; readonly detail: string } | null,
): WireError | null {
  return error === null ? null : wireError(error.code, error.detail)
}

export function errorOfWire(error: WireError): VltavaError {
  return new VltavaError(errorNameOf(error.code), error.detail)
}
