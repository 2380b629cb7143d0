import { isObject, type Json, type JsonArray } from '../json/values.js';

/** `$.name[0]["a b"]`: the steps from the outermost value to one inside. */
const step = /\.([\p{L}_$][\p{L}\p{N}_$]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]/uy;

export function pathText(steps: readonly (string | number)[]): string {
  const texts = steps.map((each) => {
    if (typeof each === 'number') return `[${each}]`;
    return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(each) ? `.${each}` : `[${JSON.stringify(each)}]`;
  });
  return `$${texts.join('')}`;
}

/** The value at a path; undefined when there is none. */
export function followPath(root: Json, path: string): Json | undefined {
  let value: Json | undefined = root;
  step.lastIndex = 1;
  while (step.lastIndex < path.length) {
    const match = step.exec(path);
    if (match === null || value === undefined) return undefined;
    const [, name, index, quoted] = match;
    if (index !== undefined) value = Array.isArray(value) ? (value as JsonArray)[Number(index)] : undefined;
    else {
      const key = name ?? unquote(quoted as string);
      value = isObject(value) && key !== undefined ? value.get(key) : undefined;
    }
  }
  return value;
}

function unquote(text: string): string | undefined {
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}
