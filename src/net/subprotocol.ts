/** The WebSocket subprotocol both sides must name; a change that old nodes cannot read gets a new one. */
export const SUBPROTOCOL = 'vltava.v1'
