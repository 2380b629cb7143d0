import type { Router__Output } from '../../protobuf/generated/envoy/extensions/filters/http/router/v3/Router.js';
import type { HttpFilter__Output } from '../../protobuf/generated/envoy/extensions/filters/network/http_connection_manager/v3/HttpFilter.js';
import { join } from './findings.js';
import { checkFields, extensionRule, report } from './support/check.js';
import { httpFilterSupport } from './support/http-filters.js';
import { httpFilterFieldsSupport, routerSupport } from './support/listener.js';
import { type Context, extensionType, readExtension } from './translate.js';

const routerType = 'envoy.extensions.filters.http.router.v3.Router';

function checkFilter(context: Context, filter: HttpFilter__Output, type: string, path: string): void {
  const rule = extensionRule(httpFilterSupport, type);
  if (rule === undefined || filter.disabled) return;
  // An optional filter may be ignored by who doesn't know it: that is what the field means.
  const treatment = filter.is_optional && rule.treatment === 'parked' ? 'warned' : rule.treatment;
  report(context.findings, treatment, path, `HTTP filter ${filter.name} (${type}): ${rule.reason}`);
}

/** The router, which must be the last filter; the others are only judged. */
export function readHttpFilters(
  context: Context,
  filters: readonly HttpFilter__Output[],
  path: string,
): Router__Output | undefined {
  const { findings } = context;
  let router: Router__Output | undefined;
  for (const [index, filter] of filters.entries()) {
    const at = `${path}[${index}]`;
    checkFields(httpFilterFieldsSupport, filter, at, findings);
    if (filter.config_discovery) continue;
    const any = filter.typed_config ?? null;
    const type = extensionType(context, any, join(at, 'typed_config'));
    if (type === undefined || any === null) continue;
    checkFilter(context, filter, type, at);
    if (type !== routerType) continue;
    if (index < filters.length - 1)
      findings.malformed.push({
        path: at,
        message: 'the router must be the last HTTP filter',
      });
    router = readExtension<Router__Output>(context, any, join(at, 'typed_config'));
    if (router !== undefined) checkFields(routerSupport, router, join(at, 'typed_config'), findings);
  }
  if (router === undefined && findings.malformed.length === 0)
    findings.parked.push({
      path,
      message: 'not supported: there is no router, so no request would be served',
    });
  return router;
}
