import type protobuf from 'protobufjs';

/** A message, enum or service of a schema, with all that is nested in it. */
export interface Definition {
  readonly packageName: string;
  readonly name: string;
  /** Full names of the messages in it: itself, if it is one, and those that are nested in it. */
  readonly messages: readonly string[];
  /** In protobufjs' JSON format. Made at each call. */
  read(): protobuf.AnyNestedObject;
}

export const isMessage = (json: object): json is protobuf.IType => 'fields' in json;
const isDefinition = (json: object): boolean => 'fields' in json || 'values' in json || 'methods' in json;

export const fullNameOf = ({ packageName, name }: Pick<Definition, 'packageName' | 'name'>): string =>
  packageName === '' ? name : `${packageName}.${name}`;

function* messagesOf(json: object, fullName: string): Generator<string> {
  if (!isMessage(json)) return;
  yield fullName;
  for (const [name, nested] of Object.entries(json.nested ?? {})) yield* messagesOf(nested, `${fullName}.${name}`);
}

/** The definitions below a namespace that are in no other. */
export function* definitionsOf(json: protobuf.INamespace, packageName = ''): Generator<Definition> {
  for (const [name, nested] of Object.entries(json.nested ?? {})) {
    const fullName = fullNameOf({ packageName, name });
    if (!isDefinition(nested)) yield* definitionsOf(nested as protobuf.INamespace, fullName);
    else yield { packageName, name, messages: [...messagesOf(nested, fullName)], read: () => nested };
  }
}

const tab = 0x09;
const newline = 0x0a;

/**
 * The definitions in a schema file as the build writes it: a line for each, of its package, its name, the full names of its messages with spaces between, and
 * its JSON, with tabs between. The JSON stays bytes until it is asked for: a process needs few of a thousand definitions.
 */
export function* definitionsIn(file: Buffer): Generator<Definition> {
  for (let start = 0, end = 0; start < file.length; start = end + 1) {
    end = file.indexOf(newline, start);
    const field = (): string => {
      const to = file.indexOf(tab, start);
      const text = file.toString('latin1', start, to);
      start = to + 1;
      return text;
    };
    const [packageName, name, messages] = [field(), field(), field()];
    const [from, to] = [start, end];
    yield {
      packageName,
      name,
      messages: messages === '' ? [] : messages.split(' '),
      read: () => JSON.parse(file.toString('utf8', from, to)) as protobuf.AnyNestedObject,
    };
  }
}
