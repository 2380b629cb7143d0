/** Those bytes of `data`; `data` itself where that is all. */
export function slice(data: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === data.length ? data : data.subarray(start, end);
}
