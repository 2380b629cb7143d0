/** Up to so many bytes a loop copies faster than a call does. */
const fewBytes = 16;

/** As `from.copy(to, toStart, start, end)`, and quicker for the few bytes of a frame's header. There is room for them. */
export function copyPart(from: Buffer, to: Buffer, toStart: number, start = 0, end = from.length): number {
  const size = Math.min(end, from.length) - start;
  if (size > fewBytes) return from.copy(to, toStart, start, end);
  for (let i = 0; i < size; i++) to[toStart + i] = from[start + i] as number;
  return size;
}
