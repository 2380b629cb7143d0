package pontoon.peer;

/** A business exception, declared by the interface. */
public class OrderException extends Exception {
    private static final long serialVersionUID = 1;
    private final int code;

    public OrderException(String message, int code, Throwable cause) {
        super(message, cause);
        this.code = code;
    }

    public int getCode() { return code; }
}
