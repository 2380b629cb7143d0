/** Numbers by their text: exact, and cheap however large their exponent is. */

const grammar = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
/** Digits of the largest whole number that is written out. */
const maxDigits = 1024;

/** The whole number that a JSON number's text says (`1e3` and `5.0` are some); undefined when it is none, or has more than 1,024 digits. */
export function wholeNumber(text: string): bigint | undefined {
  const match = grammar.exec(text);
  if (match === null) return undefined;
  const [, sign, integer = '', fraction = '', exponent = '0'] = match;
  if (fraction === '' && exponent === '0') return integer.length > maxDigits ? undefined : BigInt(`${sign}${integer}`);
  const digits = integer + fraction;
  const point = integer.length + Number(exponent);
  const significant = digits.replace(/0+$/, '');
  const leading = /^0*/.exec(digits)?.[0].length ?? 0;
  if (leading === digits.length) return 0n;
  if (significant.length > point || point > maxDigits) return undefined;
  return BigInt(`${sign}${significant.padEnd(point, '0')}`);
}

/** Whether a double, written the shortest way, is this very text: then nothing is lost by sending one. */
export function isDoubleText(text: string): boolean {
  const double = Number(text);
  if (!Number.isFinite(double)) return false;
  const shortest = String(double);
  return shortest === text || `${shortest}.0` === text || (text === '-0.0' && double === 0);
}
