package pontoon.peer;

public enum Color {
    RED,
    GREEN,
    /** With a body of its own, so that its class isn't the enum's. */
    BLUE {
        @Override
        public String note() {
            return "cold";
        }
    };

    public String note() {
        return "";
    }
}
