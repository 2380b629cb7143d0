import type { Problem, Verdict } from '../../model/verdict.js';
import { typeNameOf, unpackTypedStruct } from '../../protobuf/any.js';
import { parseJson } from '../../protobuf/json.js';
import { DecodeError, type Schema } from '../../protobuf/schema.js';
import { validate } from '../../protobuf/validate.js';
import { type Findings, join, newFindings, verdictOf } from './findings.js';

/** Where a resource comes from: `self` config sources mean the stream that brought it. */
export type Origin = 'static' | 'dynamic';

/** What every reader of messages needs: the schema, and where to put what it finds. */
export interface Context {
  readonly schema: Schema;
  readonly origin: Origin;
  readonly findings: Findings;
}

/** The translators of one resource type; each of the four files exports one. */
export interface ResourceTranslator<T> {
  /** `type.googleapis.com/…` */
  readonly typeUrl: string;
  /** The resource's own name. Throws when the bytes can't be decoded. */
  nameOf(bytes: Uint8Array): string;
  /** Decodes, checks and translates. Never throws. */
  translate(bytes: Uint8Array, origin: Origin): Verdict<T>;
}

/** Decodes and validates a resource, then lets `read` translate it; what `read` finds decides about the verdict. */
export function translateResource<M extends object, T>(
  schema: Schema,
  typeName: string,
  bytes: Uint8Array,
  origin: Origin,
  read: (message: M, context: Context) => T | undefined,
): Verdict<T> {
  const findings = newFindings();
  let message: M;
  try {
    message = schema.decode<M>(typeName, bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return {
      kind: 'rejected',
      problems: [{ path: '', message: error.message }],
    };
  }
  findings.malformed.push(...validate(schema, typeName, message));
  if (findings.malformed.length > 0) return { kind: 'rejected', problems: findings.malformed };
  const model = read(message, { schema, origin, findings });
  return verdictOf(findings, model);
}

interface AnyMessage {
  readonly type_url: string;
  readonly value: Uint8Array;
}

function prefixed(problems: readonly Problem[], path: string): Problem[] {
  return problems.map((problem) => ({
    path: problem.path === '' ? path : join(path, problem.path),
    message: problem.message,
  }));
}

/**
 * The type of an extension's configuration, looking into TypedStructs; undefined when there is none or it can't be told
 * (then that is a finding).
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/extension
 */
export function extensionType(context: Context, any: AnyMessage | null | undefined, path: string): string | undefined {
  const { schema, findings } = context;
  if (!any || any.type_url === '') {
    findings.malformed.push({
      path,
      message: 'is required: extensions are chosen by the type of their configuration',
    });
    return undefined;
  }
  try {
    return typeNameOf(unpackTypedStruct(schema, any)?.typeUrl ?? any.type_url);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    findings.malformed.push({ path, message: error.message });
    return undefined;
  }
}

/** Decodes and validates an extension's configuration, a TypedStruct as its inner type; undefined with findings when it can't be. */
export function readExtension<T extends object>(context: Context, any: AnyMessage, path: string): T | undefined {
  const { schema, findings } = context;
  try {
    const struct = unpackTypedStruct(schema, any);
    const typeName = typeNameOf(struct?.typeUrl ?? any.type_url);
    let message: T;
    if (struct === undefined) message = schema.decode<T>(typeName, any.value);
    else {
      const parsed = parseJson(schema, typeName, struct.value, path);
      if (!parsed.ok) {
        findings.malformed.push(...parsed.problems);
        return undefined;
      }
      message = parsed.message as T;
    }
    const problems = validate(schema, typeName, message);
    findings.malformed.push(...prefixed(problems, path));
    return problems.length === 0 ? message : undefined;
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    findings.malformed.push({ path, message: error.message });
    return undefined;
  }
}
