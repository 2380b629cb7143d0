import type { HeaderMutations } from '../../model/route.js';
import type { HeaderValueOption__Output } from '../../protobuf/generated/envoy/config/core/v3/HeaderValueOption.js';
import { join } from './findings.js';
import type { Context } from './translate.js';

interface Mutated {
  readonly request_headers_to_add: readonly HeaderValueOption__Output[];
  readonly request_headers_to_remove: readonly string[];
  readonly response_headers_to_add: readonly HeaderValueOption__Output[];
  readonly response_headers_to_remove: readonly string[];
}

type Addition = HeaderMutations['add'][number];

const actions: Readonly<Record<string, Addition['action']>> = {
  APPEND_IF_EXISTS_OR_ADD: 'append',
  ADD_IF_ABSENT: 'add_if_absent',
  OVERWRITE_IF_EXISTS_OR_ADD: 'overwrite',
  OVERWRITE_IF_EXISTS: 'overwrite_if_exists',
};

/** Names that routing itself decides about. */
function isProtected(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host';
}

/** A format without commands as the text that it stands for: `%%` is `%`. Undefined when there are commands. */
function literalOf(format: string): string | undefined {
  const text = format.replaceAll('%%', '');
  return text.includes('%') ? undefined : format.replaceAll('%%', '%');
}

function readAction(context: Context, option: HeaderValueOption__Output, path: string): Addition['action'] {
  if (option.append === null) return actions[option.append_action] ?? 'append';
  if (option.append_action !== 'APPEND_IF_EXISTS_OR_ADD')
    context.findings.malformed.push({
      path: join(path, 'append'),
      message: 'must not be set together with append_action',
    });
  return option.append.value ? 'append' : 'overwrite';
}

function readAddition(context: Context, option: HeaderValueOption__Output, path: string): Addition | undefined {
  const { findings } = context;
  if (option.header === null) return undefined;
  const name = option.header.key.toLowerCase();
  if (isProtected(name)) {
    findings.malformed.push({
      path: join(path, 'header.key'),
      message: ':-prefixed and host headers may not be changed',
    });
    return undefined;
  }
  const action = readAction(context, option, path);
  const format = option.header.value || option.header.raw_value.toString('latin1');
  if ((format.replaceAll('%%', '').split('%').length - 1) % 2 === 1) {
    findings.malformed.push({
      path: join(path, 'header.value'),
      message: 'has a % without its pair; write a percent sign as %%',
    });
    return undefined;
  }
  const value = literalOf(format);
  if (value === undefined) {
    findings.warnings.push({
      path: join(path, 'header.value'),
      message: 'ignored: values with commands (%…%) are not computed, so the header is not set',
    });
    return undefined;
  }
  if (value === '' && !option.keep_empty_value) return undefined;
  return { name, value, action };
}

function readMutations(
  context: Context,
  additions: readonly HeaderValueOption__Output[],
  removals: readonly string[],
  path: string,
  direction: 'request' | 'response',
): HeaderMutations {
  const add: Addition[] = [];
  for (const [index, option] of additions.entries()) {
    const addition = readAddition(context, option, join(path, `${direction}_headers_to_add[${index}]`));
    if (addition !== undefined) add.push(addition);
  }
  for (const [index, name] of removals.entries())
    if (isProtected(name))
      context.findings.malformed.push({
        path: join(path, `${direction}_headers_to_remove[${index}]`),
        message: ':-prefixed and host headers may not be removed',
      });
  return { add, remove: removals.map((name) => name.toLowerCase()) };
}

/** https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#custom-request-response-headers */
export function readHeaderMutations(
  context: Context,
  message: Mutated,
  path: string,
): {
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
} {
  const { request_headers_to_add, request_headers_to_remove, response_headers_to_add, response_headers_to_remove } =
    message;
  return {
    requestHeaders: readMutations(context, request_headers_to_add, request_headers_to_remove, path, 'request'),
    responseHeaders: readMutations(context, response_headers_to_add, response_headers_to_remove, path, 'response'),
  };
}
