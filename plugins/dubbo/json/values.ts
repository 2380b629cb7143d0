/** JSON as it was written: numbers keep their text, members their order and every name (`__proto__` too). */
export type Json = null | boolean | string | JsonNumber | JsonArray | JsonObject;
export type JsonArray = readonly Json[];
export type JsonObject = ReadonlyMap<string, Json>;

export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export const isObject = (value: Json): value is JsonObject => value instanceof Map;

/** For messages: what kind of value it is. */
export function kindOf(value: Json): string {
  if (value === null) return 'null';
  if (value instanceof JsonNumber) return 'a number';
  if (Array.isArray(value)) return 'an array';
  if (value instanceof Map) return 'an object';
  return typeof value === 'string' ? 'a string' : `${value}`;
}
