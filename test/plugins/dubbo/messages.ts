import { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';
import { jsonHeaders } from './support.js';

/** A request whose answer is all that matters. */
export const call = { path: '/a.Service/method', headers: jsonHeaders, body: '[1,"two"]' };

export function body(write: (writer: HessianWriter) => void): Buffer {
  const writer = new HessianWriter(1 << 20);
  write(writer);
  return writer.bytes();
}

/** A value as the method's result, without attachments. */
export const result = (write: (writer: HessianWriter) => void): Buffer =>
  body((writer) => {
    writer.int(1);
    write(writer);
  });
export const hello = result((writer) => writer.string('hello'));
