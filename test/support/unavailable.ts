/**
 * What a test needs cannot be had here: it is skipped, with the reason on stderr, unless CI=true: then it fails.
 * @param what as in "Envoy 1.40 is not available"
 */
export function skipWithout(context: Mocha.Context, what: string, error: unknown): never {
  const reason = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  if (process.env.CI === 'true') throw new Error(reason);
  console.error(`    skipped: ${reason}`);
  return context.skip();
}
