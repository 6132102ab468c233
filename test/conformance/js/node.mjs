// Drives @sentry/node: node node.mjs MAJOR. Writes what was sent as JSON.
import { capture, functionThatFails } from './scenarios.mjs';
import { Recorder } from './recorder.mjs';

const major = process.argv[2];
const Sentry = await import(`sentry-node-${major}`);
const release = `sentry-node@${Sentry.SDK_VERSION}`;
const recorder = new Recorder();

const client = Sentry.init({
  dsn: process.env.MESHER_DSN,
  release,
  environment: 'conformance',
  serverName: 'test.example',
  maxBreadcrumbs: 130,
  maxValueLength: 1_000_000,
  normalizeDepth: 5,
  tracesSampleRate: 1,
  attachStacktrace: true,
  transportOptions: { bufferSize: 1000 },
  // The process is to live on after its promise was rejected.
  integrations: [Sentry.onUnhandledRejectionIntegration({ mode: 'none' }), Sentry.onUncaughtExceptionIntegration({ exitEvenIfOtherHandlersAreRegistered: false })],
});
recorder.watch(client);
process.on('uncaughtException', () => {}); // only the SDK looks at it

Sentry.startSession?.();
capture(Sentry, recorder);
Sentry.endSession?.();

Promise.reject(new Error('nobody waits for this'));
await recorder.find('an unhandled rejection', 'nobody waits for this', { exception_type: 'Error' });
setTimeout(() => functionThatFails('nobody catches this'), 0);
await recorder.find('an uncaught exception', 'nobody catches this', { level: 'fatal', exception_type: 'TypeError' }, 'functionThatFails');

if (!(await Sentry.close(30_000))) throw new Error('the SDK could not send everything');
// A pipe takes its time; what the SDK leaves running is not waited for.
process.stdout.write(JSON.stringify(recorder.result(release)), () => process.exit(0));
