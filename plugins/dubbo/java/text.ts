import type { Json } from '../json/values.js';
import { isListClass } from './classes.js';
import type { JavaType } from './types.js';

/** What a text outside of JSON means (a query parameter, a path's segment, a header, the name of a map's entry), for an argument of this type. */
export function textToJson(type: JavaType | undefined, text: string): Json {
  if (type === undefined) return text;
  const isBoolean =
    type.kind === 'primitive' ? type.name === 'boolean' : type.kind === 'class' && type.name === 'java.lang.Boolean';
  if (isBoolean && (text === 'true' || text === 'false')) return text === 'true';
  // Writers of numbers take them from texts.
  return text;
}

/** The same for a parameter that can be there several times. */
export function textsToJson(type: JavaType | undefined, texts: readonly string[]): Json {
  const element = elementOf(type);
  if (element !== undefined) return texts.map((text) => textToJson(element.type, text));
  return textToJson(type, texts[texts.length - 1] ?? '');
}

function elementOf(type: JavaType | undefined): { readonly type: JavaType | undefined } | undefined {
  if (type?.kind === 'array') return isByte(type.element) ? undefined : { type: type.element };
  if (type?.kind === 'class' && isListClass(type.name)) return { type: type.arguments[0] };
  return undefined;
}

const isByte = (type: JavaType): boolean => type.kind === 'primitive' && type.name === 'byte';
