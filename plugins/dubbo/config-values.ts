import { type JavaType, parseType } from './java/types.js';

/** Readers of single values of the configuration. They throw Errors that begin with the value's path. */

export function parseFieldType(value: unknown, path: string): JavaType {
  if (typeof value !== 'string') throw new Error(`${path} must be a Java type, not ${JSON.stringify(value)}`);
  try {
    return parseType(value);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

export function attachmentText(value: unknown, path: string): string {
  if (typeof value === 'string') return value;
  throw new Error(`${path} must be a text, not ${JSON.stringify(value)}`);
}

export const isHeaderName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(text);
