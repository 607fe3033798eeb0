// Fifty threads that take turns at monitors, sleep, park and make garbage. The file /data/status has the rounds that
// every thread has done, or what went wrong.
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;

class Jvm {
    static final int THREADS = 50;
    static final AtomicLongArray rounds = new AtomicLongArray(THREADS);
    static final AtomicReference<String> problem = new AtomicReference<>();
    static final Map<Integer, String> table = new ConcurrentHashMap<>();
    static final Object monitor = new Object();
    static long shared = 0;
    static final AtomicLong added = new AtomicLong();

    static void turn(int number) {
        try {
            Random random = new Random(number);
            for (long round = 1;; round++) {
                synchronized (monitor) {
                    shared++;
                    added.incrementAndGet();
                    if (shared != added.get()) problem.set("the monitor was not exclusive");
                    monitor.notify();
                    if (number % 5 == 0) monitor.wait(5);
                }
                int key = random.nextInt(10000);
                if (!table.get(key).equals(value(key))) problem.set("the table has changed");
                byte[][] garbage = new byte[10][];
                for (int at = 0; at < garbage.length; at++) garbage[at] = new byte[10000];
                if (number % 2 == 0) Thread.sleep(5); else java.util.concurrent.locks.LockSupport.parkNanos(5_000_000);
                rounds.set(number, round);
            }
        } catch (Throwable error) {
            problem.set(error.toString());
        }
    }

    static String value(int key) {
        return Integer.toHexString(key * 31) + "-" + Integer.toBinaryString(key);
    }

    public static void main(String[] arguments) throws Exception {
        for (int key = 0; key < 10000; key++) table.put(key, value(key));
        for (int number = 0; number < THREADS; number++) {
            int own = number;
            new Thread(() -> turn(own), "thread " + number).start();
        }
        Path status = Path.of("/data/status"), fresh = Path.of("/data/status.new");
        for (;;) {
            Thread.sleep(20);
            long least = Long.MAX_VALUE;
            for (int number = 0; number < THREADS; number++) least = Math.min(least, rounds.get(number));
            String text = problem.get() != null ? problem.get() : Long.toString(least);
            Files.writeString(fresh, text + "\n");
            Files.move(fresh, status, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        }
    }
}
