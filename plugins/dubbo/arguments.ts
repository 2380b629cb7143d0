import { isUtf8 } from 'node:buffer';
import type { RequestHeaderMap } from '../../src/bridge/api.js';
import type { Call } from './call.js';
import { textsToJson, textToJson } from './java/text.js';
import type { JavaType } from './java/types.js';
import { JsonError, readJson } from './json/read.js';
import { isObject, type Json, type JsonArray, kindOf } from './json/values.js';
import type { Parameter } from './routes.js';

/** The request has no arguments that fit; the message is for the client. */
export class RequestError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Argument {
  /** For messages: the parameter's name, or the argument's place. */
  readonly name: string | number;
  readonly type: JavaType | undefined;
  readonly value: Json;
}

/** A body as JSON; undefined when it is empty. Throws a RequestError. */
export function parseBody(headers: RequestHeaderMap, body: Buffer, maxDepth: number): Json | undefined {
  if (body.length === 0) return undefined;
  const type = (headers.get('content-type') ?? 'application/json').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type !== 'application/json' && !/^application\/[\w.!#$&^-]+\+json$/.test(type)) {
    throw new RequestError(415, `the body must be application/json, not ${JSON.stringify(type.slice(0, 64))}`);
  }
  if (!isUtf8(body)) throw new RequestError(400, 'the body is no UTF-8');
  try {
    return readJson(body.toString(), maxDepth);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new RequestError(400, `the body is no JSON: ${error.message}`);
  }
}

/** The arguments of a call, from the body, the path, the query and headers. Throws a RequestError. */
export function collectArguments(call: Call, headers: RequestHeaderMap, body: Json | undefined): Argument[] {
  if (call.parameters !== undefined) return namedArguments(call, call.parameters, headers, body);
  if (body !== undefined) return listedArguments(call.types, body);
  const texts = [...new URLSearchParams(call.query).values()];
  checkCount(call.types, texts.length);
  return texts.map((text, index) => {
    const type = call.types?.[index];
    return { name: index, type, value: textToJson(type, text) };
  });
}

/** An array has one item for each argument; anything else is the only one. */
function listedArguments(types: readonly JavaType[] | undefined, body: Json): Argument[] {
  if (!Array.isArray(body) && types?.length !== 1) {
    throw new RequestError(400, `the body must be an array of the arguments, not ${kindOf(body)}`);
  }
  const values = Array.isArray(body) ? (body as JsonArray) : [body];
  checkCount(types, values.length);
  return values.map((value, index) => ({ name: index, type: types?.[index], value }));
}

function checkCount(types: readonly JavaType[] | undefined, count: number): void {
  if (types === undefined || types.length === count) return;
  throw new RequestError(400, `the method has ${types.length} parameters, the request ${count} arguments`);
}

function namedArguments(
  call: Call,
  parameters: readonly Parameter[],
  headers: RequestHeaderMap,
  body: Json | undefined,
): Argument[] {
  const query = new URLSearchParams(call.query);
  const members = membersOf(parameters, body);
  return parameters.map((parameter) => {
    const value = argumentOf(parameter, call, headers, query, body, members);
    return { name: parameter.name, type: parameter.type, value: value ?? missing(parameter) };
  });
}

/** The body by the names of the parameters: an object, or an array of them in their order. */
function membersOf(parameters: readonly Parameter[], body: Json | undefined): ReadonlyMap<string, Json> {
  if (body === undefined || parameters.some(({ from }) => from === 'body')) return new Map();
  const expected = parameters.filter(({ from }) => from === 'member').map(({ name }) => name);
  if (Array.isArray(body)) {
    const values = body as JsonArray;
    if (values.length !== expected.length) {
      throw new RequestError(
        400,
        `the body must have ${expected.length} items (${expected.join(', ')}), not ${values.length}`,
      );
    }
    return new Map(expected.map((name, index) => [name, values[index] as Json]));
  }
  if (!isObject(body)) throw new RequestError(400, `the body must be an object or an array, not ${kindOf(body)}`);
  for (const name of body.keys()) {
    if (!expected.includes(name)) {
      const known = expected.length === 0 ? 'the method takes nothing from it' : `known are ${expected.join(', ')}`;
      throw new RequestError(400, `the body has an unknown member ${JSON.stringify(name.slice(0, 64))}; ${known}`);
    }
  }
  return body;
}

function argumentOf(
  parameter: Parameter,
  call: Call,
  headers: RequestHeaderMap,
  query: URLSearchParams,
  body: Json | undefined,
  members: ReadonlyMap<string, Json>,
): Json | undefined {
  const { name, type } = parameter;
  switch (parameter.from) {
    case 'body':
      return body;
    case 'member':
      return members.get(name);
    case 'path':
      return textToJson(type, decoded(call.variables.get(name) ?? ''));
    case 'query':
      return query.has(name) ? textsToJson(type, query.getAll(name)) : undefined;
    case 'header': {
      const values = headers.values(parameter.header);
      return values.length > 0 ? textsToJson(type, values) : undefined;
    }
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RequestError(400, `${JSON.stringify(text.slice(0, 64))} in the path is no percent-encoding of UTF-8`);
  }
}

function missing({ name, type, from }: Parameter): null {
  if (type?.kind !== 'primitive') return null;
  throw new RequestError(400, `${JSON.stringify(name)} (${from}, ${type.name}) is missing`);
}
