import type { DumpedResource } from './sources.js';

/** What the words for a resource that is held from before begin with: /config_dump's readers look for it. */
export const stalePrefix = 'stale: ';

/** envoy.admin.v3.ClientResourceStatus of what is not there. */
export const missingStatus = {
  requested: 'REQUESTED',
  does_not_exist: 'DOES_NOT_EXIST',
  timed_out: 'TIMEOUT',
} as const;

/** Why an accepted resource does not run, or not as it says; '' for one that does. */
export function acceptedDetails({ stale, parked, warnings = [] }: DumpedResource): string {
  const details = [
    ...(stale ? [`${stalePrefix}from a snapshot, no control plane has spoken of it since`] : []),
    ...(parked ? [`parked: ${parked.reason}`] : []),
    ...(warnings.length > 0 ? [`warned: ${warnings.join('; ')}`] : []),
  ];
  return details.join('; ');
}

/** Why the control plane's last version is not taken. */
export const rejectedDetails = (error: NonNullable<DumpedResource['error']>): string => `rejected: ${error.details}`;
