/** Asks again and again until `probe` gives something, or fails after `ms` with what was waited for. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  ms = 10_000,
): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what}: did not come within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
