/** Pieces up to this size are copied together: cheaper than a place of their own in the list that the kernel is given. */
const small = 4096;

/** The same bytes in fewer pieces. */
export function joinSmall(pieces: readonly Buffer[]): readonly Buffer[] {
  if (pieces.length < 2) return pieces;
  const joined: Buffer[] = [];
  for (let i = 0; i < pieces.length; ) {
    let end = i;
    let size = 0;
    for (; end < pieces.length && (pieces[end] as Buffer).length <= small; end++)
      size += (pieces[end] as Buffer).length;
    if (end - i > 1) joined.push(Buffer.concat(pieces.slice(i, end), size));
    else joined.push(pieces[i] as Buffer);
    i = Math.max(end, i + 1);
  }
  return joined;
}
