import { parseYaml } from '../bootstrap/yaml.js';
import type { CertificateValidation, TlsCertificate } from '../model/tls.js';
import { describeProblems } from '../model/verdict.js';
import { type AnyValue, typeNameOf } from '../protobuf/any.js';
import type { Secret__Output } from '../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/Secret.js';
import { parseJson } from '../protobuf/json.js';
import type { Schema } from '../protobuf/schema.js';
import { validate } from '../protobuf/validate.js';
import { readNow } from '../tls/data-source.js';
import { newFindings } from '../xds/resources/findings.js';
import { readTlsCertificate, readValidation } from '../xds/resources/secret.js';
import type { SecretFiles } from './upstream-tls.js';

const responseType = 'envoy.service.discovery.v3.DiscoveryResponse';
const wrapperType = 'envoy.service.discovery.v3.Resource';
const secretType = 'envoy.extensions.transport_sockets.tls.v3.Secret';

/**
 * A file's content as a serialized DiscoveryResponse: binary where its name ends in `.pb`, otherwise YAML or JSON.
 *
 * @throws Error that says what is wrong with which field
 */
export function decodeDiscoveryFile(schema: Schema, path: string, content: Buffer): Uint8Array {
  if (path.toLowerCase().endsWith('.pb')) {
    try {
      schema.decode(responseType, content);
      return content;
    } catch (error) {
      throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (path.toLowerCase().endsWith('.pb_text'))
    throw new Error(`${path}: the text form of protobuf is not read; use .yaml, .json or .pb`);
  // Taken as a response it would say that there is nothing.
  if (content.toString('latin1').trim() === '') throw new Error(`${path} is empty; no resources are \`resources: []\``);
  const yaml = parseYaml(content.toString('utf8'));
  if (!yaml.ok) throw new Error(`${path}: ${describeProblems(yaml.problems)}`);
  const parsed = parseJson(schema, responseType, yaml.json);
  if (!parsed.ok) throw new Error(`${path}: ${describeProblems(parsed.problems)}`);
  return parsed.bytes;
}

/** One resource of a file, taken out of what it may be wrapped in. */
export interface FileResource {
  readonly typeName: string;
  readonly bytes: Uint8Array;
}

/** The resources of a file's content. @throws Error that says what is wrong with it */
export function resourcesOfFile(schema: Schema, path: string, content: Buffer): FileResource[] {
  const bytes = decodeDiscoveryFile(schema, path, content);
  const { resources } = schema.decode<{ resources: AnyValue[] }>(responseType, bytes);
  return resources.flatMap((any) => {
    const wrapped = typeNameOf(any.type_url) === wrapperType;
    const inner = wrapped ? schema.decode<{ resource: AnyValue | null }>(wrapperType, any.value).resource : any;
    return inner ? [{ typeName: typeNameOf(inner.type_url), bytes: inner.value }] : [];
  });
}

function findSecret(schema: Schema, path: string, name: string): Secret__Output {
  for (const { typeName, bytes } of resourcesOfFile(schema, path, readNow({ kind: 'file', path }))) {
    if (typeName !== secretType) continue;
    const secret = schema.decode<Secret__Output>(secretType, bytes);
    if (secret.name !== name) continue;
    const problems = validate(schema, secretType, secret);
    if (problems.length > 0) throw new Error(`${path}: ${describeProblems(problems)}`);
    return secret;
  }
  throw new Error(`${path} has no secret ${name}`);
}

/** Secrets out of files, as they are at the moment. */
export function createSecretFiles(schema: Schema): SecretFiles {
  function read<T>(
    path: string,
    name: string,
    pick: (secret: Secret__Output, findings: ReturnType<typeof newFindings>) => T | undefined,
  ): T {
    const findings = newFindings();
    const found = pick(findSecret(schema, path, name), findings);
    const problems = [...findings.malformed, ...findings.unsupported];
    if (problems.length > 0) throw new Error(`${path}: secret ${name}: ${describeProblems(problems)}`);
    if (found === undefined) throw new Error(`${path}: secret ${name} is of another kind`);
    return found;
  }
  return {
    certificate: (path, name) =>
      read<TlsCertificate>(path, name, ({ tls_certificate: certificate }, findings) =>
        certificate ? readTlsCertificate({ schema, origin: 'static', findings }, certificate, '') : undefined,
      ),
    validation: (path, name) =>
      read<CertificateValidation>(path, name, ({ validation_context: validation }, findings) =>
        validation ? readValidation({ schema, origin: 'static', findings }, validation, '') : undefined,
      ),
  };
}
