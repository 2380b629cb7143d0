/** Makes an error that a handler threw an uncaught exception of the process, once what told the handler has done its work. */
export function throwLater(error: unknown): void {
  process.nextTick(rethrow, error);
}

function rethrow(error: unknown): void {
  throw error;
}
