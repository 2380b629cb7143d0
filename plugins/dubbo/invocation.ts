import type { Argument } from './arguments.js';
import type { Call } from './call.js';
import type { Settings } from './config.js';
import { headerSize } from './frame.js';
import { HessianWriter } from './hessian/writer.js';
import { ArgumentWriter } from './java/encode.js';
import { descriptor, erasedName, type JavaType } from './java/types.js';

/** Of the protocol, not of a release: providers of this version and later send attachments back. Source: Version.isSupportResponseAttachment. */
const protocolVersion = '2.0.2';
/** What consumers send that have none. */
const noVersion = '0.0.0';
const genericDescriptor = 'Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;';

/**
 * A request's frame, with room for the header. Source: DubboCodec.encodeRequestData.
 * Throws an ArgumentError, or a HessianError when it is too large.
 */
export function writeInvocation(settings: Settings, call: Call, values: readonly Argument[]): Buffer {
  const writer = new HessianWriter(settings.limits.maxRequestFrame, headerSize);
  const isGeneric = call.generic !== 'false';
  writer.string(protocolVersion);
  writer.string(call.interface);
  writer.string(call.version ?? noVersion);
  writer.string(isGeneric ? '$invoke' : call.method);
  const types = values.map(({ type }) => type);
  writer.string(isGeneric ? genericDescriptor : types.map((type) => descriptor(type as JavaType)).join(''));
  if (isGeneric) {
    writer.string(call.method);
    writeTypes(writer, types);
    writer.list(values.length, '[object');
  }
  const { classes, acceptsClass, json } = settings;
  const encoder = new ArgumentWriter(writer, {
    generic: isGeneric,
    classes,
    acceptsClass,
    references: json.references,
  });
  for (const { name, type, value } of values) encoder.write(type, value, name);
  writeAttachments(writer, settings, call);
  return writer.bytes();
}

/** Without types the provider takes the method of that name, if there is only one. */
function writeTypes(writer: HessianWriter, types: readonly (JavaType | undefined)[]): void {
  if (types.includes(undefined)) {
    writer.null();
    return;
  }
  writer.list(types.length, '[string');
  for (const type of types) writer.string(erasedName(type as JavaType));
}

function writeAttachments(writer: HessianWriter, settings: Settings, call: Call): void {
  const all = new Map(call.attachments);
  all.set('path', call.interface).set('interface', call.interface);
  if (call.version !== undefined) all.set('version', call.version);
  if (call.group !== undefined) all.set('group', call.group);
  if (call.generic !== 'false') all.set('generic', call.generic);
  const timeout = call.timeoutMs ?? settings.timeoutMs;
  if (timeout !== undefined) all.set('timeout', String(timeout));
  writer.map();
  for (const [name, value] of all) {
    writer.string(name);
    writer.string(value);
  }
  writer.end();
}
