import { describeProblems, type Problem } from '../model/verdict.js';
import type { Status } from './discovery.js';

/** Envoy's code for a rejected update, google.rpc.Code INTERNAL. */
const internal = 13;
/** Envoy's bound for the text: with it, a status fits into the 8 KiB that gRPC allows for metadata. */
const longestMessage = 4_096;
const longestEntry = 1_024;

/**
 * The `error_detail` of a NACK: each bad resource with its fields, or as many as fit and how many more there are.
 *
 * @param total resources in the response
 */
export function errorDetail(
  rejections: readonly {
    readonly label: string;
    readonly problems: readonly Problem[];
  }[],
  total: number,
): Status {
  let message = `${rejections.length} of ${total} resources rejected: `;
  for (const [index, { label, problems }] of rejections.entries()) {
    const entry = `${index === 0 ? '' : '; '}${shorten(`${label}: ${describeProblems(problems)}`)}`;
    if (message.length + entry.length > longestMessage - 32) {
      message += `; and ${rejections.length - index} more`;
      break;
    }
    message += entry;
  }
  return { code: internal, message };
}

/** The `error_detail` for a response that could not be used as a whole. */
export function statusOf(text: string): Status {
  return { code: internal, message: shorten(text) };
}

function shorten(text: string): string {
  return text.length > longestEntry ? `${text.slice(0, longestEntry)}...(truncated)` : text;
}
