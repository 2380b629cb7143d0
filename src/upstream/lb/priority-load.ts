/** How many hosts of one priority are how healthy. */
export interface PriorityHealth {
  readonly total: number;
  readonly healthy: number;
  readonly degraded: number;
}

/** Per priority, per cent of the requests; all of `healthy` and `degraded` together make 100. */
export interface PriorityLoad {
  readonly healthy: readonly number[];
  readonly degraded: readonly number[];
  /** The priority is so unhealthy that all its hosts are used. */
  readonly panic: readonly boolean[];
}

/** Envoy's default of common_lb_config.healthy_panic_threshold. */
const panicThresholdPercent = 50;

/**
 * Distributes load over priorities as Envoy does.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority and …/degraded, …/panic_threshold
 */
export function computePriorityLoad(
  priorities: readonly PriorityHealth[],
  overprovisioningFactor: number,
): PriorityLoad {
  const availability = (part: (health: PriorityHealth) => number) =>
    priorities.map((health) =>
      health.total === 0 ? 0 : Math.min(100, Math.floor((overprovisioningFactor * part(health)) / health.total)),
    );
  const healthy = availability((health) => health.healthy);
  const degraded = availability((health) => health.degraded);
  const normalizedTotal = Math.min(100, sum(healthy) + sum(degraded));
  const panic = priorities.map(
    (health) =>
      // Nothing at all to go by, where the factor rounds the last available host away, is panic, too.
      normalizedTotal === 0 ||
      (normalizedTotal < 100 &&
        (health.total === 0 ? 0 : (100 * (health.healthy + health.degraded)) / health.total) < panicThresholdPercent),
  );
  if (panic.every(Boolean)) return { ...loadInTotalPanic(priorities), panic };

  const healthyLoad = distribute(healthy, 100, normalizedTotal);
  const degradedLoad = distribute(degraded, 100 - sum(healthyLoad), normalizedTotal);
  // What rounding left over goes to the first priority that can take it.
  const rest = 100 - sum(healthyLoad) - sum(degradedLoad);
  const firstHealthy = healthy.findIndex((value) => value > 0);
  if (firstHealthy >= 0) healthyLoad[firstHealthy] = (healthyLoad[firstHealthy] ?? 0) + rest;
  else {
    const firstDegraded = degraded.findIndex((value) => value > 0);
    degradedLoad[firstDegraded] = (degradedLoad[firstDegraded] ?? 0) + rest;
  }
  return { healthy: healthyLoad, degraded: degradedLoad, panic };
}

/** Every priority is in panic: by the number of hosts, whatever their health. */
function loadInTotalPanic(priorities: readonly PriorityHealth[]): Pick<PriorityLoad, 'healthy' | 'degraded'> {
  const total = sum(priorities.map((health) => health.total));
  const healthy = priorities.map((health) => (total === 0 ? 0 : Math.floor((100 * health.total) / total)));
  const first = Math.max(
    0,
    priorities.findIndex((health) => health.total > 0),
  );
  healthy[first] = (healthy[first] ?? 0) + 100 - sum(healthy);
  return { healthy, degraded: priorities.map(() => 0) };
}

function distribute(availability: readonly number[], load: number, normalizedTotal: number): number[] {
  let left = load;
  return availability.map((value) => {
    const part = Math.min(left, Math.floor((value * 100) / normalizedTotal));
    left -= part;
    return part;
  });
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
