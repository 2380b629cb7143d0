import type { JavaException } from './errors.js';
import { type Frame, okStatus } from './frame.js';
import { HessianReader } from './hessian/reader.js';
import {
  HessianError,
  type HessianLimits,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from './hessian/values.js';

/** What a response frame says. */
export type Response =
  | {
      readonly kind: 'value';
      readonly value: HessianValue;
      readonly shared: ReadonlySet<HessianValue>;
      readonly attachments: ReadonlyMap<string, string>;
    }
  | { readonly kind: 'exception'; readonly exception: JavaException; readonly attachments: ReadonlyMap<string, string> }
  | { readonly kind: 'failure'; readonly status: number; readonly message: string };

const noAttachments: ReadonlyMap<string, string> = new Map();

/** Reads a response's body. Source: DubboCodec.encodeResponseData. Throws a HessianError. */
export function readResponse(frame: Frame, limits: HessianLimits): Response {
  const reader = new HessianReader(frame.body, limits);
  if (frame.status !== okStatus) {
    return { kind: 'failure', status: frame.status, message: reader.string() ?? '' };
  }
  const kind = reader.int();
  if (kind < 0 || kind > 5) throw new HessianError(`a response of the unknown kind ${kind}`);
  const hasAttachments = kind >= 3;
  if (kind === 0 || kind === 3) {
    const exception = readException(reader.value());
    return { kind: 'exception', exception, attachments: hasAttachments ? readAttachments(reader) : noAttachments };
  }
  const value = kind === 1 || kind === 4 ? reader.value() : null;
  const attachments = hasAttachments ? readAttachments(reader) : noAttachments;
  return { kind: 'value', value, shared: reader.shared, attachments };
}

function readAttachments(reader: HessianReader): ReadonlyMap<string, string> {
  const map = reader.value();
  if (map === null) return noAttachments;
  if (!(map instanceof HessianMap)) throw new HessianError('the attachments are no map');
  const all = new Map<string, string>();
  map.keys.forEach((key, index) => {
    const value = map.values[index];
    if (typeof key === 'string' && typeof value === 'string') all.set(key, value);
  });
  return all;
}

const maxCauses = 8;
const maxFrames = 256;

/** Generic calls wrap exceptions of the method: GenericException has the original's class and message. */
function readException(value: HessianValue, depth = 0): JavaException {
  const className =
    value instanceof HessianObject ? value.definition.name : value instanceof HessianMap ? value.type : undefined;
  const field = (name: string): HessianValue | undefined => {
    if (value instanceof HessianObject) return value.get(name);
    return value instanceof HessianMap ? value.values[value.keys.indexOf(name)] : undefined;
  };
  const text = (name: string): string | undefined => {
    const found = field(name);
    return typeof found === 'string' ? found : undefined;
  };
  const cause = field('cause');
  // A Throwable without a cause is its own.
  const hasCause = cause !== value && cause !== null && cause !== undefined && depth < maxCauses;
  return {
    className: text('exceptionClass') ?? className ?? 'java.lang.Throwable',
    message: text('exceptionMessage') ?? text('detailMessage') ?? null,
    stack: readStack(field('stackTrace')),
    cause: hasCause ? readException(cause, depth + 1) : undefined,
  };
}

function readStack(value: HessianValue | undefined): string[] {
  if (!(value instanceof HessianList)) return [];
  return value.items.slice(0, maxFrames).flatMap((item) => {
    if (!(item instanceof HessianObject)) return [];
    const [file, line] = [item.get('fileName'), item.get('lineNumber')];
    const place = typeof file === 'string' ? `(${file}${typeof line === 'number' && line >= 0 ? `:${line}` : ''})` : '';
    return [`${item.get('declaringClass')}.${item.get('methodName')}${place}`];
  });
}
